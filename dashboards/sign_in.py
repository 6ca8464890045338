"""The door: who has signed in at the team's identity provider comes in; nothing is read for anybody else."""

import streamlit as st

from dashboards.texts import Text

__all__ = ["admitted"]


def admitted(text: Text) -> bool:
    """Return whether the reader has signed in; otherwise show how to."""
    if not (st.secrets.load_if_toml_exists() and "auth" in st.secrets):
        # Wanted and not set up: nobody comes in, rather than everybody.
        st.error(text.say("sign_in_broken"), icon=":material/lock:")
        return False
    if st.user.is_logged_in:
        with st.container(horizontal=True, horizontal_alignment="right", key="signed-in"):
            st.caption(text.say("signed_in", name=st.user.get("email") or st.user.get("name") or st.user.get("sub")))
            st.button(text.plain("sign_out"), type="tertiary", on_click=st.logout)
        return True
    st.title(text.plain("sign_in_title"), anchor=False)
    st.markdown(text.say("sign_in_why"))
    st.button(text.plain("sign_in"), type="primary", icon=":material/login:", on_click=st.login)
    return False

"""Entry point: `streamlit run dashboards/app.py`, which `wafergate up` does."""

from wafergate.wiring import open_readonly_facts

from dashboards.shell import run

run(open_readonly_facts)

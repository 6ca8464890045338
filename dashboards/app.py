"""Entry point: `streamlit run dashboards/app.py`, which `wafergate up` does."""

from dashboards.shell import run
from wafergate.wiring import open_readonly_facts

run(open_readonly_facts)

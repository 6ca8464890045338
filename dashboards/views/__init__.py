"""One module a page; a page arranges figures and tables and computes nothing."""

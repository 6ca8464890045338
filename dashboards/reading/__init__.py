"""What the pages read, a module a page: plain functions from a store to frozen values, only what is shown."""

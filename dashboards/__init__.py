"""The dashboard: what the platform decided, shown to people; nothing here writes or decides."""

"""One room for each foreign system; only here are foreign errors met and translated."""

"""The graph, its profiles, its runners and the command line."""

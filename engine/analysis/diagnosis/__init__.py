"""Findings about a network before anything is computed: what weights, statistics and structure tell."""

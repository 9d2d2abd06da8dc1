"""Drafts of configs: from a data file, from a template, or from another library's config."""

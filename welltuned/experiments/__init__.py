"""Many runs that answer one question: comparisons and searches."""

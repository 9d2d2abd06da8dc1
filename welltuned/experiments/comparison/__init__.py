"""Many runs, one table: which way of tuning is right for these data, and how sure that is.

A comparison is a folder of ordinary runs and reads nothing but their folders.
"""

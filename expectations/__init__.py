"""Great Expectations on DuckDB: the gates between silos, and the gap register.

`catalogue` declares the gates, `engine.run_gates` evaluates them, `register` remembers what they
found. Importing this package is cheap: Great Expectations is imported when gates run.
"""

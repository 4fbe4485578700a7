"""Nothing lost, no one let in: whole tables, judged by evaluators that aren't ours."""

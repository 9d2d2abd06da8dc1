"""What PEFT has itself: its methods, their options, and where each goes in a model of ours."""

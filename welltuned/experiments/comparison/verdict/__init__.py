"""Verdict: what the scores of a comparison show, and which strategy to take.

scores.py          each strategy's score, with what it rests on: seeds and test examples
seed_variance.py   how far apart its seeds are, pooled over strategies with shrinkage
pairs.py           every two strategies: is the difference significant?
posterior.py       how far each is below the best, and how sure that is
recommendation.py  the cheapest that is shown to be as good as the best, and why
settling.py        how many seeds or test examples would settle what is open
"""

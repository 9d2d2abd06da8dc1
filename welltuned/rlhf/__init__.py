"""RLHF: supervised fine-tuning, a reward model, then reinforcement learning.

Supervised fine-tuning makes a policy, reward modelling makes a judge, and reinforcement
learning moves the policy towards what the judge likes without letting it run away from
where it began.
"""

"""How long jobs will run, learned from jobs that have ended, and in which order that puts them."""

from clusterwright.learn.boosted import Boosted
from clusterwright.learn.causal import Past, as_they_come, ended, known_at, naive_s
from clusterwright.learn.guess import GUESSES, Guess
from clusterwright.learn.history import History
from clusterwright.learn.order import claim_s, order_value_s, overtaken_until_s
from clusterwright.learn.outlook import Outlook
from clusterwright.learn.score import Score, score, score_points

__all__ = [
    "GUESSES",
    "Boosted",
    "Guess",
    "History",
    "Outlook",
    "Past",
    "Score",
    "as_they_come",
    "claim_s",
    "ended",
    "known_at",
    "naive_s",
    "order_value_s",
    "overtaken_until_s",
    "score",
    "score_points",
]

"""Multinomial naive Bayes over the words of a text, with Laplace smoothing (Manning, Raghavan, Schütze: Introduction to
Information Retrieval, 13.2)."""

import math
import re
from collections import Counter

WORD = re.compile(r"[a-z']+")


class Classifier:
    def __init__(self, examples: dict[str, list[str]]):
        """Texts by the category that they are examples of."""
        counts = {category: Counter(self.words(" ".join(texts))) for category, texts in examples.items()}
        vocabulary = set().union(*counts.values())
        texts = sum(map(len, examples.values()))
        self._prior = {category: math.log(len(examples[category]) / texts) for category in examples}
        self._likelihood = {
            category: {
                word: math.log((found[word] + 1) / (found.total() + len(vocabulary))) for word in vocabulary
            }
            for category, found in counts.items()
        }

    @staticmethod
    def words(text: str) -> list[str]:
        return WORD.findall(text.lower())

    def classify(self, text: str) -> tuple[str, float]:
        """The most probable category, and its probability. Words of no example say nothing."""
        found = self.words(text)
        scores = {
            category: prior + sum(self._likelihood[category].get(word, 0.0) for word in found)
            for category, prior in self._prior.items()
        }
        best = max(scores, key=scores.__getitem__)
        return best, 1 / sum(math.exp(score - scores[best]) for score in scores.values())

"""The nouns of an AI compute centre, frozen and complete once built."""

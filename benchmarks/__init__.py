"""`make bench`: what the whole pipeline costs above its parts run bare, as ratios measured in one session."""

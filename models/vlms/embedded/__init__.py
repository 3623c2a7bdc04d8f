"""The small vision-language model that comes with Rankscope."""

"""Vision-language models of the transformers library, by hub id or local folder."""

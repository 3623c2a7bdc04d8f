"""What a plan predicts against what training takes."""

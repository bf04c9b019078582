"""What the personalization language promises, sentence by sentence."""

"""Claim, attempt, settle: from the due-queue to the receiver's server and back."""

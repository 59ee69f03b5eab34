"""What follows from a decision: quarantine, alert, delivery, receipt."""

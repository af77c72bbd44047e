"""What the kinds of API priority and fairness share."""

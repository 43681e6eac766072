"""What studies of component circuits share: halves of pairs, sets of heads, edges cut, outputs swapped, claims on circuits."""

"""CEL, the language of validation rules: text to tree, types of trees, values of trees. Pure, and knows no Kubernetes object."""

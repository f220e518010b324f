"""A4NN under Prefect: thin flows and tasks over ``a4nn_core``, which does not know them."""

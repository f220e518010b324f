"""A4NN under Prefect: thin flows and tasks over ``a4nn_core``, which does not know them.

Installed as ``a4nn_flows``, so that no project's own ``flows`` comes before it; imports in here are relative.
"""

"""Looking for good hyper-parameters by trying them."""

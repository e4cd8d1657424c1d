"""How far answers hang on priors and likelihood, by reweighting a posterior already drawn."""

"""What stands around attention: MLPs, experts, residual streams, vocabularies."""

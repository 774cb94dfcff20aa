"""Federation of SPIFFE trust domains: foreign bundles that are fetched, and our own that is published."""

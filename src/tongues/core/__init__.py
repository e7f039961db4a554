"""Types, recipe, manifests, digests, languages, errors: what every room shares."""

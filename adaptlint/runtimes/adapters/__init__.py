"""AdapterHub's library `adapters`: what a release of it does with an adapter folder and a composition."""

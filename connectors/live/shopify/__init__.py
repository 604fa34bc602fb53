"""Orders of a Shopify store, by its Admin GraphQL API."""

"""Number formats: what a scheme means, and how codes become values and bits."""

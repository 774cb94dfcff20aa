"""What a mesh costs a month: its parts by the list prices, and what it would cost with another issuer or life."""

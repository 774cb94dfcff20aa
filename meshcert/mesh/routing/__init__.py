"""Virtual services, virtual routers and routes, nested as in App Mesh; and the calls that follow from them."""

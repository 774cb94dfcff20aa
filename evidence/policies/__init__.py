"""Every client policy before every listener, in two real Envoys: what App Mesh's rules say, and what is seen."""

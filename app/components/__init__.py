"""What Streamlit has no widget for: the live plot, the film, the run's controls, the pulse."""

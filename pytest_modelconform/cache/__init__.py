"""What is kept between runs, and made once."""

"""PostgreSQL: the way past one machine; needs the extra ``deployserver[postgresql]``."""

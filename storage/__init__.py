"""What is remembered: tables, migrations, the sink runs write through, and what reads them."""

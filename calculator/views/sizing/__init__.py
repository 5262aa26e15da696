"""From a load to hardware: the options as rows, and the answer in words."""

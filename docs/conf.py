# How `make docs` builds the pages.

from downloader import __version__ as release

project = "tciad"
author = "the tciad authors"
project_copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]
html_theme = "furo"
html_title = f"tciad {release}"

myst_heading_anchors = 4
suppress_warnings = ["myst.xref_missing"]  # links to folders and files of the repository that are no pages

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
napoleon_google_docstring = True
napoleon_numpy_docstring = False

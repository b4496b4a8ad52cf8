"""How Sphinx makes the documentation. `make docs` calls it; warnings are errors."""

from npgrad.version import __version__

project = "npgrad"
release = version = __version__
html_title = f"npgrad {version}"
copyright = ""

extensions = [
    "sphinx.ext.autodoc",
    "myst_nb",
    "sphinx_copybutton",
    "docs.extensions.docstrings",
    "docs.extensions.pages",
    "docs.extensions.links",
]
exclude_patterns = ["_build", "extensions", "*.txt"]

html_theme = "furo"
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#1f5f8b", "color-brand-content": "#1f5f8b"},
    "dark_css_variables": {"color-brand-primary": "#8ec5ea", "color-brand-content": "#8ec5ea"},
}
html_static_path = ["_static", "../npgrad/explain/assets"]
html_css_files = ["derivation.css", "npgrad.css"]
html_show_sphinx = False
html_show_copyright = False
html_copy_source = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("Array", "TensorLike", "ArrayLike", "DTypeLike")}
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 88
# Nothing is looked up on the network: what other libraries call their types is not linked.
nitpicky = True
# Nor are types that no package exports, and modules that are read as source.
nitpick_ignore_regex = [
    ("py:.*", r"(?!npgrad\.).*"),
    ("py:class", r"npgrad\.(\w+\.)+([A-Z]\w*|switch)"),
    ("py:obj", r"npgrad\.(bindings|engine|explain)(\.\w+)*"),
]

myst_enable_extensions = ["colon_fence", "deflist", "attrs_inline"]
myst_heading_anchors = 3
suppress_warnings = ["myst.header"]  # the pages of the reference begin below their titles
nb_execution_mode = "off"
copybutton_exclude = ".linenos, .gp, .go"

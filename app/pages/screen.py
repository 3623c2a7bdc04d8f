"""A page drawn by one of our own JavaScript modules, inside one Gradio component."""

import gradio as gr


def screen(module: str, skeleton: str) -> gr.HTML:
    """An element that ``/ui/{module}.js`` takes over by its export ``start(element)``.

    Args:
        module: Name of the JavaScript module in ``app/ui``.
        skeleton: HTML of the loading state, of the final size, so that nothing jumps.
    """
    return gr.HTML(
        skeleton,
        js_on_load=f"import('/ui/{module}.js').then((page) => page.start(element));",
        apply_default_css=False,
        elem_id=f"screen-{module}",
        padding=False,
    )

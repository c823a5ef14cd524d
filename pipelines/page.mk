# `make ... page`: the table, the pictures, the streams and the weights of a pipeline as one page for
# a browser, OUT/page.html, with the logs of the training that lie beside the weights.

page_weights = $(sort $(NHAE) $(LDM3D) $(REFINER) $(MULTISLICE))

.PHONY: page
page: $(OUT)/page.html

$(OUT)/page.html: $(OUT)/table.tsv $(OUT)/volumes.png $(page_weights)
	experiment-html --title '$(notdir $(abspath $(OUT)))' $(OUT) $(page_weights) \
	    $(wildcard $(page_weights:.safetensors=.tsv)) -o $@
